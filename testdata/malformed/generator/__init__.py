"""What `make.py` is made of: encoders written apart from hotspan's, and one module for each kind of trouble."""
