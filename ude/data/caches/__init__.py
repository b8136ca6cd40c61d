"""What is slow to read, kept in the form that it is needed in: resized frames and projected LiDAR."""
