"""Where media come from: http(s), `data:` URIs and files below `localRoot`, each under the pool's rules."""
