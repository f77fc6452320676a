"""modelstore: model cards and model services. It publishes no events yet."""
