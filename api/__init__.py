"""HTTP, scheduler, command line and demo: the composition root, the only place where siblings meet."""
