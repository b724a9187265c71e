"""ManageSieve: people's programs keep the scripts that sort their mail."""
