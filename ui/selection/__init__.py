"""The session's selection and the controls that change it."""
