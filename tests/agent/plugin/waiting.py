"""A hardware manager with one clean step that touches nothing: it waits for a file."""

import time
from pathlib import Path

from ironic_python_agent import errors, hardware

LIMIT_SECONDS = 120


class WaitingHardwareManager(hardware.HardwareManager):
    """Stands beside the agent's generic manager."""

    HARDWARE_MANAGER_NAME = "WaitingHardwareManager"
    HARDWARE_MANAGER_VERSION = "1"

    def evaluate_hardware_support(self):
        """Every machine."""
        return hardware.HardwareSupport.SERVICE_PROVIDER

    def get_clean_steps(self, node, ports):
        """The one step, for manual cleaning alone."""
        return [
            {
                "step": "wait_for_file",
                "priority": 0,
                "interface": "deploy",
                "reboot_requested": False,
                "abortable": True,
                "argsinfo": {"path": {"description": "What to wait for", "required": True}},
            }
        ]

    def wait_for_file(self, node, ports, path):
        """Ends when `path` is there."""
        end = time.monotonic() + LIMIT_SECONDS
        while not Path(path).exists():
            if time.monotonic() > end:
                raise errors.CleaningError(f"{path} did not come")
            time.sleep(0.05)
        return f"{path} came for {node['uuid']}"
