"""SGLang's EncoderBootstrapServer alone: `bootstrap.py PORT`, in SGLang's environment."""

import logging
import signal
import sys

from sglang.srt.disaggregation.encoder.receiver import EncoderBootstrapServer

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
server = EncoderBootstrapServer("127.0.0.1", int(sys.argv[1]))
signal.sigwait({signal.SIGTERM, signal.SIGINT})
server.close()
