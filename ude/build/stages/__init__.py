"""The training stages: what each builds of the config, and on what results it builds."""
