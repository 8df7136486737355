"""Export targets that are files: COCO, ImageFolder, WebDataset, Hugging Face, Label Studio,
PyTorch, CSV."""
