"""What everybody may ask for: health, the OpenAPI document, the guide, and metrics for monitors."""
