"""What runs when: definitions, the job, its schedule and sensor, resources, and the command that runs a night."""
