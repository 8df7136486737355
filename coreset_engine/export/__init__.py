"""Export: selection folder, FiftyOne, other targets, and labels back."""
