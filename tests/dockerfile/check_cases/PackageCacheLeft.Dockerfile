FROM a:1
RUN apt-get update && apt-get install -y curl
RUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*
RUN --mount=type=cache,target=/var/lib/apt/lists apt-get update
RUN apk add git
RUN apk add --no-cache git
RUN pip install -r requirements.txt
RUN python3 -m pip install --no-cache-dir x
RUN --mount=type=cache,target=/root/.cache pip install x
RUN npm ci
RUN dnf install -y x && dnf clean all
RUN <<EOF
apt-get update
apt-get install -y git
rm -rf /var/lib/apt/lists/*
EOF
