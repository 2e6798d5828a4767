"""What must be computed: config.json to operators."""
