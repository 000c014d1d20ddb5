"""The rules: plans, their trials and their way to publication."""

from dashboards.pages.planning import plan, plan_trial, plans

ROUTERS = (
    plans.router,
    plan_trial.router,
    plan.router,
)
