FROM minirt/base
CMD ['cat', '/etc/hostname']
