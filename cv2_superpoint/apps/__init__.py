"""What is built on the feature: command line, matching, tracking, drawing."""
