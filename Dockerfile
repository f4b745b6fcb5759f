# The whole of minirt in a container, without --privileged:
#   docker build -t minirt-lab .
#   docker run --rm -p 8888:8888 minirt-lab
FROM python:3.12-slim-bookworm

# One list of packages and one set of steps for this image and for Binder.
RUN --mount=type=bind,source=binder/apt.txt,target=/tmp/apt.txt \
    apt-get update \
 && xargs -a /tmp/apt.txt apt-get install -y --no-install-recommends \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 --shell /bin/bash learner \
 && python -m venv /opt/minirt \
 && install -d -o 1000 -g 1000 /home/learner/minirt \
 && chown -R 1000:1000 /opt/minirt
ENV PATH=/opt/minirt/bin:$PATH

USER 1000
WORKDIR /home/learner/minirt
COPY --chown=1000:1000 . .
RUN binder/postBuild

# For a hub: --build-arg JUPYTERHUB=5.4.0 (the hub's own version) adds what starts a learner's server there.
ARG JUPYTERHUB=""
RUN test -z "$JUPYTERHUB" || python -m pip install --quiet --no-cache-dir "jupyterhub==$JUPYTERHUB"

WORKDIR /home/learner/minirt/notebooks
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser"]
