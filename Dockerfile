# One image for connect, ingest, jobs, web, simulate and migrate: the command says which.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# Numbers, not names: an orchestrator can then check that it is not root.
RUN groupadd --gid 10001 ioc && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin ioc

WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY ioc ioc
COPY connectors connectors
COPY dashboards dashboards
# In place: the KPI catalogue and the scenes are read from here and may be mounted over.
RUN pip install --editable . && python -m compileall -q ioc connectors dashboards
COPY config.yaml ./

USER 10001:10001
EXPOSE 8050
ENTRYPOINT ["ioc"]
CMD ["web"]
