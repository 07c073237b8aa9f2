"""Reading the load of pools, and setting their replicas by it. What to set is `autoscale`'s to say."""
