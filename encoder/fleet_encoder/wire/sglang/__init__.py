"""The wire that SGLang's language servers speak: HTTP for requests, ZMQ for embeddings. See `facade`."""
