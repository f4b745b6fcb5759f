FROM minirt/base
ENTRYPOINT [ 'sh', '-c', 'echo "$0"' ]
CMD ['cat', '/etc/hostname']
FROM minirt/base
ENTRYPOINT ["cat", "/etc/hostname'
CMD ["cat", "/etc/hostname"
FROM minirt/base
CMD [ -e /etc/hostname ]
FROM minirt/base
CMD [ "a" = "b" ]
