FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/easel
# By themselves, so that a change of the code alone leaves this layer as it is.
COPY requirements.lock ./
RUN /opt/easel/bin/pip install --no-compile --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY cogs cogs
# Compiled once, here: nothing may be written there later. Hashes, since times do not last.
RUN /opt/easel/bin/pip install --no-compile --no-deps . && \
    /opt/easel/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/easel/lib

FROM python:3.13-slim
LABEL org.opencontainers.image.title="Easel" \
      org.opencontainers.image.description="A self-hosted Discord bot that makes pictures." \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 easel && \
    useradd --no-log-init --uid 10001 --gid easel --home-dir /easel --shell /usr/sbin/nologin easel && \
    install -d -o easel -g easel -m 0700 /easel/data
COPY --from=build /opt/easel /opt/easel
ENV PATH=/opt/easel/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HTTP_HOST=127.0.0.1 HTTP_PORT=8080
USER 10001:10001
WORKDIR /easel
VOLUME /easel/data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['HTTP_PORT']), timeout=8); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["easel", "run"]
