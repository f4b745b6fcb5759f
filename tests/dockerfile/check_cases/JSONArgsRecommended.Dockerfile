FROM a:1
ENTRYPOINT my-program start
CMD echo "$HOME"
FROM a:1
SHELL ["/bin/bash", "-c"]
CMD asked for
FROM a:1
CMD ["fine"]
