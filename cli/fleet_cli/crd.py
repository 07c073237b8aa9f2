"""`encoderfleet crd`: the CustomResourceDefinition, for `kubectl apply -f -`."""

import json

import click
import yaml

from fleet_operator.api.crd import crd
from fleet_operator.kube.kinds import kind_schema

HEADER = "# Made from operator/fleet_operator/api by `make crds`; edit that.\n"


def as_yaml() -> str:
    """The definition as a YAML document. Pure."""
    plain = json.loads(json.dumps(crd(kind_schema)))  # no shared parts: YAML would write them as anchors
    return HEADER + yaml.safe_dump(plain, sort_keys=False, width=120, allow_unicode=True)


@click.command()
def command() -> None:
    """Print the definition of EncoderPools for a cluster, as `kubectl apply -f -` takes it."""
    click.echo(as_yaml(), nl=False)
