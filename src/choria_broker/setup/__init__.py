"""The first set-up of a broker: certificates, tokens and a configuration in one folder."""
