"""What is learnt from: Synthetic Shapes, photographs, and views of both."""
