"""Who gets what: plan documents, primitives, allocation, explanation, templates."""
