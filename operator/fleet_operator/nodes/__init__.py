"""The cluster's nodes, as plans see them: what they have, who may run there, and which of them are alike."""
