"""Who agreed: the month's work, runs, notices, and whom to ring."""

from dashboards.pages.deciding import contacts, corrections, delegations, notice, run, work

ROUTERS = (
    work.router,
    run.router,
    notice.router,
    contacts.router,
    corrections.router,
    delegations.router,
)
