"""What a run leaves behind: pictures, figures, weights, model card."""
