"""Lists about people: households, members, classes, enrolments, posts, attendance, points."""
