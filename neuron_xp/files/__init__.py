"""Files of any content: replaced whole, held, read by rows, and gone when they are to be."""
