"""The formats that travel, compared with those who also write them."""
