"""How much light there was: the sun, measured irradiance, comparable outputs, and the rule that decides."""
