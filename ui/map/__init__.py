"""The scatter map: Python component, JavaScript, and its colour columns."""
