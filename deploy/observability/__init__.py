"""What Prometheus and Grafana are handed, and the page of metrics: made from the code, and checked.

``python -m deploy.observability`` makes what is generated; it needs the packages of development.
"""
