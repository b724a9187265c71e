"""`postroom serve`."""

from __future__ import annotations

import sys

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.site import config_option, find_site


@click.command()
@config_option
def command(config_file: str | None) -> None:
    """Run the server in the foreground until SIGTERM or Ctrl-C.

    SIGHUP reads configuration and certificates again, for new connections.
    """
    from postroom.app.runfolder import AlreadyRunning
    from postroom.app.serve import serve
    from postroom.config import ConfigError
    from postroom.config import check as look_over
    from postroom.net.listen import ListenError

    site = find_site(config_file)
    fatal = [str(problem) for problem in look_over(site.config) if problem.fatal]
    if fatal:
        raise CommandFailed(Exit.BAD_CONFIG, "\n".join(fatal))
    try:
        status = serve(site.config, site.path)
    except ListenError as fault:
        raise CommandFailed(Exit.FAILED, str(fault)) from fault
    except AlreadyRunning as fault:
        raise CommandFailed(Exit.NO_CHANGE, str(fault), f"Reload it: kill -HUP {fault.pid}") from fault
    except ConfigError as fault:
        raise CommandFailed(Exit.BAD_CONFIG, str(fault)) from fault
    sys.exit(status)
