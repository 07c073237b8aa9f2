"""What the cluster was last seen to be: read from watched objects, kept as small as decisions need it."""
