"""File targets: COCO, ImageFolder, WebDataset, Hugging Face, Label Studio, PyTorch, CSV."""
