"""What is measured about quotapilot, each in a folder with a command of its own."""
