"""What `plan` and `up` read of the machine that they run on."""

from fleet_cli.pool_file import WrongPool
from fleet_machine import CpuReading, visible_memory
from fleet_operator.api import EncoderPool
from fleet_operator.local.devices import DriverError, visible_gpus
from fleet_operator.plan import NodeShape


def gpus_for_pool(pool: EncoderPool) -> tuple[str, ...]:
    """The GPUs of this machine; none where the pool wants none, and then a broken driver does not matter.

    Raises:
        DriverError: See `devices.visible_gpus`.
    """
    return () if pool.spec.resources.gpus == 0 else visible_gpus()


def working_gpus(pool: EncoderPool) -> tuple[str, ...]:
    """As `gpus_for_pool`.

    Raises:
        WrongPool: The driver is broken; says the way around.
    """
    try:
        return gpus_for_pool(pool)
    except DriverError as error:
        raise WrongPool(f"{error}; mend the driver, or run on the CPU with spec.resources.gpus: 0") from error


def shape(reading: CpuReading, gpus: tuple[str, ...]) -> NodeShape:
    """This machine, as plans see it."""
    return NodeShape(reading.cpus, len(gpus), visible_memory())
