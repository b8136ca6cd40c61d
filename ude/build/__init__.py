"""From config to objects: the only package that reads the config; one module per job."""
