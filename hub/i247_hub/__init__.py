"""The regional hub: carries everybody's mail and can read nobody's."""
