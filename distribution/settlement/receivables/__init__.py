"""What is still owed and how old it is, what was advanced on it, and how arrived money is passed on."""
