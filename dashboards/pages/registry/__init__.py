"""Pages of the registry: lists in, books, cards, reviews, comparisons, accounts, station files."""

from dashboards.pages.registry import (
    account_changes,
    archive,
    books,
    card,
    duties,
    exchanges,
    imports,
    lifecycle,
    reviews,
)

ROUTERS = (
    imports.router,
    books.router,
    card.router,
    lifecycle.router,
    reviews.router,
    duties.router,
    exchanges.router,
    account_changes.router,
    archive.router,
)
