"""What every benchmark uses: images, methods, metrics, tables."""
