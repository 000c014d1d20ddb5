"""The web application: pages, resources, the door for operators, and what is common to all.

Owns how the parts are put together. It starts nothing: `api.run` serves it.
"""

from importlib.metadata import version

from fastapi import Depends, FastAPI, Request, Response
from fastapi.middleware.gzip import GZipMiddleware
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api import control, errors, resources, security
from collector.metrics import registry as metrics_of
from collector.metrics import reported
from collector.runtime import Collector
from dashboards import routers as page_routers
from dashboards.web import Services, open_to_all, requires
from registry.actors import Permission

DESCRIPTION = "村级光伏帮扶电站：电站、电量、结算、分配与发放。除公开公示外都要登录。"


def create_app(services: Services, *, control_token: str = "", collector: Collector | None = None) -> FastAPI:
    """Return the application that serves `services`.

    `control_token` opens the operators' door; without one it stays shut. `collector` is the collector of
    this process, if it has one, whose status is shown.
    """
    application = FastAPI(
        title="阳光账本 Sunledger",
        description=DESCRIPTION,
        version=version("sunledger"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    application.state.services = services
    application.state.control_token = control_token
    application.state.collector = collector
    for router in (*page_routers(), *resources.routers(), control.router):
        application.include_router(router)
    _add_service_routes(application, collector)
    errors.install(application)
    security.install(application)
    application.add_middleware(GZipMiddleware, minimum_size=1000)
    return application


def _add_service_routes(application: FastAPI, collector: Collector | None) -> None:
    @application.get(
        "/healthz", include_in_schema=False, dependencies=[Depends(open_to_all("只说服务活着，不含数据"))]
    )
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @application.get(
        "/metrics", include_in_schema=False, dependencies=[Depends(requires(Permission.VIEW_OPERATIONS))]
    )
    def metrics() -> Response:
        services: Services = application.state.services
        with services.database.reading() as session:
            told = generate_latest(reported(session, services.clock()))
        collected = generate_latest(metrics_of(collector)) if collector is not None else b""
        return Response(generate_latest() + told + collected, media_type=CONTENT_TYPE_LATEST)

    @application.get(
        "/api/v1/openapi.json",
        include_in_schema=False,
        dependencies=[Depends(requires(Permission.VIEW_STATIONS))],
    )
    def openapi(request: Request) -> dict[str, object]:
        schema: dict[str, object] = request.app.openapi()
        return schema
