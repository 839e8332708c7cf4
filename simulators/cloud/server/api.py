"""The HTTP API of a pool, without HTTP: a request in, an answer or a watch out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simulators.cloud.language import metadata, patches
from simulators.cloud.language.decoding import decode, read_applied, reread
from simulators.cloud.language.kinds import Kind
from simulators.cloud.language.managed_fields import applied
from simulators.cloud.language.protobuf import OPENAPI_2
from simulators.cloud.language.status import (
    StatusError,
    bad_request,
    conflict,
    method_not_allowed,
    not_found,
    unsupported_media_type,
)
from simulators.cloud.server import answers, discovery, reviews, subresources
from simulators.cloud.server.access import Caller
from simulators.cloud.server.answers import PAGE_NOT_FOUND, Form, Response
from simulators.cloud.server.pages import page, too_large
from simulators.cloud.server.requests import (
    Request,
    Target,
    check_media,
    check_options,
    check_timeout,
    delete_options,
    list_options,
    parsed_version,
    readable,
    target,
)
from simulators.cloud.server.selectors import Selector, field_selector, label_selector, matching
from simulators.cloud.server.store import Object
from simulators.cloud.server.verbs import Options, in_version
from simulators.cloud.server.watches import Watch

if TYPE_CHECKING:
    from simulators.cloud.server.cluster import Cluster

APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"
_OF_ONE = {"get", "update", "patch", "delete"}
_HEALTH = {"/healthz", "/livez", "/readyz"}
#: Checks that health is made of, as far as one of them can be asked for alone.
_CHECKS = {"ping", "log", "etcd"}


class _NobodyImpersonatedError(Exception):
    """A request names groups of somebody whom it does not name."""


class Api:
    """The API of one pool; ``address`` is where clients reach it, as discovery says."""

    def __init__(self, cluster: Cluster, address: str = "") -> None:
        self.cluster = cluster
        self.address = address

    def handle(self, request: Request) -> Response | Watch:
        """Answer a request; errors are answers too."""
        answer = self._answer(request)
        return answers.indented(answer) if isinstance(answer, Response) and request.pretty else answer

    def _answer(self, request: Request) -> Response | Watch:
        try:
            wanted = target(request)
            check_timeout(request, wanted)
            caller = self._caller(request)
            self.cluster.access.authorize(caller, wanted.attributes)
            request = readable(request)
            return self._resource(request, wanted, caller) if wanted.resource else self._path(request, wanted)
        except StatusError as error:
            return answers.failure(error)
        except _NobodyImpersonatedError:
            said = f'Internal Server Error: "{request.path}": requested groups without impersonating a user'
            return answers.text(f"{said}\n", 500)

    def _caller(self, request: Request) -> Caller:
        access = self.cluster.access
        caller = access.authenticate(request.header("authorization"), request.certificate)
        user = request.header("impersonate-user")
        groups = [group for group in request.header("impersonate-group").split(",") if group]
        prefix, uid = "impersonate-extra-", request.header("impersonate-uid")
        extra = {
            name.removeprefix(prefix): tuple(value.split(","))
            for name, value in request.headers.items()
            if name.startswith(prefix)
        }
        if user:
            return access.impersonated(caller, Caller(user, tuple(groups), uid, extra))
        if groups or uid or extra:
            raise _NobodyImpersonatedError
        return caller

    # ------------------------------------------------------- paths without objects

    def _path(self, request: Request, wanted: Target) -> Response:
        path = request.path.rstrip("/") or "/"
        if path in _HEALTH and request.wants("verbose"):
            return answers.text(f"[+]ping ok\n[+]etcd ok\n{path[1:]} check passed\n")
        whole, _, check = path.rpartition("/")
        if path in _HEALTH or (whole in _HEALTH and check in _CHECKS):
            return answers.text("ok")
        if path.startswith("/openapi"):
            return self._openapi(request, path)
        service = next((one for begin, one in self.cluster.services.items() if path.startswith(begin)), None)
        if service is not None:
            return service(request)
        if path == "/version":
            found = discovery.version(self.cluster.version)
            return self._documented(request, found)
        if path == "/openid/v1/jwks":
            keys = answers.document(self.cluster.access.accounts.public_keys)
            return replace(keys, content_type="application/jwk-set+json")
        if path == "/.well-known/openid-configuration":
            return answers.document(discovery.issuer(self.address))
        return self._discovery(request, path)

    def _discovery(self, request: Request, path: str) -> Response:
        registry = self.cluster.registry
        whole = path in {"/api", "/apis"} and request.method == "GET"
        if whole and answers.accepts_form(request, discovery.AGGREGATED):
            body = discovery.aggregated(registry, core=path == "/api")
            return Response(200, answers.document(body).body, discovery.AGGREGATED)
        parts = path.split("/")[1:]
        found: dict[str, Any] | None = None
        match parts:
            case ["api"]:
                found = discovery.versions(self.address)
            case ["apis"]:
                found = discovery.groups(registry)
            case ["api", version]:
                found = discovery.resources(registry, "", version)
            case ["apis", group]:
                found = discovery.group(registry, group)
            case ["apis", group, version]:
                found = discovery.resources(registry, group, version)
            case [""]:
                found = {"paths": discovery.paths(registry)}
        return PAGE_NOT_FOUND if found is None else self._documented(request, found)

    @staticmethod
    def _documented(request: Request, found: dict[str, Any]) -> Response:
        if request.method != "GET":
            raise answers.not_routed()
        return answers.document(found, form=answers.accepted(request, objects=False))

    def _openapi(self, request: Request, path: str) -> Response:
        registry = self.cluster.registry
        if path == "/openapi/v2" and request.header("accept").partition(",")[0].replace("@", ".") == OPENAPI_2:
            return Response(200, discovery.openapi_v2(tuple(registry.all()), binary=True), OPENAPI_2)
        answers.accepted(request, objects=False)
        if path == "/openapi/v2":
            return Response(200, discovery.openapi_v2(tuple(registry.all())))
        if path == "/openapi/v3":
            return Response(200, answers.document(discovery.openapi_index(registry)).body, answers.TEXT)
        found = re.fullmatch(r"/openapi/v3/(?:api|apis/([^/]+))/([^/]+)", path)
        kinds = tuple(registry.of_group(found[1] or "", found[2])) if found else ()
        return Response(200, discovery.openapi_v3(kinds)) if kinds else Response(404, b"null")

    # ------------------------------------------------------------------- objects

    def _resource(self, request: Request, wanted: Target, caller: Caller) -> Response | Watch:
        kind = self.cluster.registry.find(wanted.group, wanted.version, wanted.resource)
        if kind is None:
            return self._unserved(wanted)
        if not _fits(kind, wanted):
            return self._unserved(wanted)
        if not kind.custom and wanted.subresource != "log":
            answers.check_route(request)
        if not kind.namespaced:
            wanted = replace(wanted, namespace="")
        answer = (self._subresource if wanted.subresource else self._whole)(request, wanted, kind, caller)
        if kind.deprecation and isinstance(answer, Response):
            return replace(answer, headers=[*answers.warned([kind.deprecation]), *answer.headers])
        return answer

    def _whole(self, request: Request, wanted: Target, kind: Kind, caller: Caller) -> Response | Watch:
        misplaced = wanted.verb != "watch" and (wanted.verb in _OF_ONE) != bool(wanted.name)
        if wanted.verb not in kind.verbs or (misplaced and not kind.custom):
            raise _not_allowed(kind, wanted.verb)
        if wanted.verb in _OF_ONE and not wanted.name:
            error = "name must be provided"
            causes = {"causes": [{"message": error}]}
            raise StatusError(500, "InternalError", f"Internal error occurred: {error}", causes)
        form = answers.accepted(request)
        acts: Mapping[str, Callable[..., Response | Watch]] = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }
        return acts[wanted.verb](request, wanted, kind, form, caller)

    def _unserved(self, wanted: Target) -> Response:
        built_in = any(not kind.custom for kind in self.cluster.registry.of_group(wanted.group, wanted.version))
        if not built_in:
            return PAGE_NOT_FOUND
        text = "the server could not find the requested resource"
        return answers.failure(StatusError(404, "NotFound", text, {}))

    def _get(self, request: Request, wanted: Target, kind: Kind, form: Form, _: Caller) -> Response:
        version = parsed_version(request.asks("resourceVersion"))
        store = self.cluster.store
        if version is not None and version > store.revision:
            raise too_large(version, store.revision)
        return self._one(request, kind, self.cluster.verbs.found(kind, wanted.namespace, wanted.name), form)

    def _one(
        self,
        request: Request,
        kind: Kind,
        obj: Object,
        form: Form,
        status: int = 200,
        warnings: list[str] | None = None,
    ) -> Response:
        body = answers.one(kind, in_version(kind, obj), form, request, self.cluster.clock.now())
        return answers.document(body, status, form, answers.warned(warnings or []))

    def _list(self, request: Request, wanted: Target, kind: Kind, form: Form, _: Caller) -> Response:
        options = list_options(request, watch=False)
        selects = self._selection(request, kind)
        found = page(self.cluster.store, kind.storage, wanted.namespace, options, selects)
        objects = [in_version(kind, obj) for obj in found.objects]
        body = answers.many(kind, objects, found.metadata, form, request, self.cluster.clock.now())
        return answers.document(body, form=form)

    def _watch(self, request: Request, wanted: Target, kind: Kind, form: Form, _: Caller) -> Watch:
        options = list_options(request, watch=True)
        answers.check_stream(form)
        selects = self._selection(request, kind)
        if wanted.name:
            chosen = selects
            selects = lambda obj: obj["metadata"]["name"] == wanted.name and (chosen is None or chosen(obj))  # noqa: E731
        return Watch(
            self.cluster.store,
            self.cluster.clock,
            kind,
            wanted.namespace,
            selects or (lambda _: True),
            self._shows(request, kind, form),
            options,
        )

    def _shows(self, request: Request, kind: Kind, form: Form) -> Callable[[Object], dict[str, Any]]:
        answers.included(request)
        first = True

        def shows(obj: Object) -> dict[str, Any]:
            nonlocal first
            plain = replace(form, form=form.form.removesuffix("List"))
            if form.form == "Table" and "name" not in obj["metadata"]:
                return answers.empty_table(obj, form)
            body = answers.one(kind, in_version(kind, obj), plain, request, self.cluster.clock.now())
            if form.form == "Table" and not first:
                body["columnDefinitions"] = None
            first = False
            return body

        return shows

    def _selection(self, request: Request, kind: Kind) -> Callable[[Object], bool] | None:
        """What the selectors of a request choose; None where they choose all."""
        labels = label_selector(request.asks("labelSelector"))
        own = {"metadata.name", *(("metadata.namespace",) if kind.namespaced else ())}
        fields = field_selector(request.asks("fieldSelector"), lambda name: name in own or name in kind.selectable({}))
        if not labels and not fields:
            return None
        return lambda obj: _chosen(kind, obj, labels, fields)

    # ------------------------------------------------------------------- writing

    def _create(self, request: Request, wanted: Target, kind: Kind, form: Form, caller: Caller) -> Response:
        check_options(request, "create")
        sent, warnings = self._read(request, kind)
        if kind.storage in reviews.REVIEWS:
            obj = reviews.answer(self.cluster, kind, wanted.namespace, sent, caller, request.manager)
            return self._one(request, kind, obj, form, 201, warnings)
        options = self._options(request, caller)
        if kind.storage == "bindings":
            pods = self.cluster.registry.known("pods")
            pod = self.cluster.verbs.found(pods, wanted.namespace, sent["metadata"].get("name", ""))
            return subresources.bind(self.cluster, pods, pod, sent, form, options)
        with _warning(warnings):
            obj = self.cluster.verbs.create(kind, wanted.namespace, sent, options)
        response = self._one(request, kind, obj, form, 201, warnings + metadata.warnings(obj["metadata"]))
        self.cluster.settle()
        return response

    def _update(self, request: Request, wanted: Target, kind: Kind, form: Form, caller: Caller) -> Response:
        check_options(request, "update")
        sent, warnings = self._read(request, kind)
        _same_name(sent, wanted)
        options = self._options(request, caller)
        with _warning(warnings):
            obj, created = self.cluster.verbs.update(
                kind, wanted.namespace, wanted.name, lambda _: sent, options, subresource=wanted.subresource
            )
        response = self._one(request, kind, obj, form, 201 if created else 200, warnings)
        self.cluster.settle()
        return response

    def _read(self, request: Request, kind: Kind) -> tuple[Object, list[str]]:
        check_media(request)
        return decode(kind, request.body, request.header("content-type"), request.asks("fieldValidation"))

    @staticmethod
    def _options(request: Request, caller: Caller) -> Options:
        return Options(caller, request.manager, bool(request.query.get("dryRun")), request.wants("force"))

    def _patch(self, request: Request, wanted: Target, kind: Kind, form: Form, caller: Caller) -> Response:
        media = _patch_media(request, kind)
        check_options(request, "patch", apply=media == APPLY)
        warnings: list[str] = []
        options = self._options(request, caller)
        if media == APPLY:
            return self._apply(request, wanted, kind, form, options, warnings)
        patch, given = self._patcher(kind, media, request.body)

        def change(old: Object | None) -> Object:
            assert old is not None
            sent, problems = reread(kind, patch(old), request.asks("fieldValidation"), given)
            warnings.extend(problems)
            _same_name(sent, wanted)
            return sent

        with _warning(warnings):
            obj, _ = self.cluster.verbs.update(
                kind, wanted.namespace, wanted.name, change, options, subresource=wanted.subresource, patch=True
            )
        response = self._one(request, kind, obj, form, 200, warnings)
        self.cluster.settle()
        return response

    @staticmethod
    def _patcher(kind: Kind, media: str, body: bytes) -> tuple[Callable[[Object], Object], list[str]]:
        """What a patch makes of an object, and what is said of the patch itself."""
        patch, problems = patches.parse(body, operations=media == _JSON_PATCH)
        if media == _JSON_PATCH:
            return lambda obj: patches.json_patch(obj, patch), problems
        if media == _MERGE_PATCH:
            return lambda obj: patches.merge_patch(obj, patch), problems
        # It is made of what the object is, whatever it says of that.
        head = {"apiVersion": kind.api_version, "kind": kind.kind}
        return lambda obj: {**patches.strategic_patch(kind, obj, patch), **head}, problems

    def _apply(
        self, request: Request, wanted: Target, kind: Kind, form: Form, options: Options, warnings: list[str]
    ) -> Response:
        verbs, key = self.cluster.verbs, (wanted.namespace, wanted.name)
        sent = read_applied(request.body, request.asks("fieldValidation"))
        live = self.cluster.store.get(kind.storage, key)

        def change(old: Object | None) -> Object:
            result = applied(
                kind, old, sent, options.manager, force=options.force, subresource=wanted.subresource, now=verbs.now()
            )
            _same_name(result, wanted)
            return result

        if live is None:
            if wanted.subresource:
                raise not_found(kind, wanted.name)
            if uid := sent["metadata"].get("uid"):
                text = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                raise conflict(kind, wanted.name, text)
            made = change(None)
            made["metadata"].pop("resourceVersion", None)
            obj = verbs.create(kind, wanted.namespace, made, options, managed=True)
        else:
            obj, _ = verbs.update(
                kind,
                wanted.namespace,
                wanted.name,
                change,
                options,
                subresource=wanted.subresource,
                patch=True,
                managed=True,
            )
        response = self._one(request, kind, obj, form, 201 if live is None else 200, warnings)
        self.cluster.settle()
        return response

    def _delete(self, request: Request, wanted: Target, kind: Kind, form: Form, caller: Caller) -> Response:
        how, dry_run = delete_options(request)
        options = Options(caller, request.manager, dry_run)
        obj, gone = self.cluster.verbs.delete(kind, wanted.namespace, wanted.name, how, options)
        if gone:
            response = answers.document(answers.success(kind, obj), form=form)
        else:
            waits = how.accepted and bool(obj["metadata"].get("deletionTimestamp"))
            response = self._one(request, kind, obj, form, 202 if waits else 200)
        self.cluster.settle()
        return response

    def _delete_collection(self, request: Request, wanted: Target, kind: Kind, form: Form, caller: Caller) -> Response:
        how, dry_run = delete_options(request)
        options = list_options(request, watch=False)
        found = page(self.cluster.store, kind.storage, wanted.namespace, options, self._selection(request, kind))
        acting = Options(caller, request.manager, dry_run)
        # The answer is what was found, and not what became of it.
        self.cluster.verbs.delete_all(kind, found.objects, how, acting)
        objects = [in_version(kind, obj) for obj in found.objects]
        body = answers.many(kind, objects, found.metadata, form, request, self.cluster.clock.now())
        self.cluster.settle()
        return answers.document(body, form=form)

    # --------------------------------------------------------------- subresources

    def _subresource(self, request: Request, wanted: Target, kind: Kind, caller: Caller) -> Response | Watch:
        part = kind.subresources.get(wanted.subresource)
        if part is None and not kind.custom:
            return self._unserved(wanted)
        if part is None:
            raise not_found(kind, wanted.name)
        if wanted.verb not in part.verbs:
            raise _not_allowed(kind, wanted.verb)
        form = answers.accepted(request)
        if wanted.verb == "patch":
            _patch_media(request, kind)
        if wanted.subresource in {"status", "finalize", "resize", "ephemeralcontainers", "approval"}:
            acts = {"get": self._get, "update": self._update, "patch": self._patch}
            return acts[wanted.verb](request, wanted, kind, form, caller)
        return subresources.answer(self.cluster, request, wanted, kind, form, self._options(request, caller))


def _patch_media(request: Request, kind: Kind) -> str:
    """The kind of patch that a body is.

    Raises:
        StatusError: 415, the kind takes no such patches.
    """
    media = request.header("content-type").partition(";")[0].strip()
    known = [_JSON_PATCH, _MERGE_PATCH, *([] if kind.custom else [_STRATEGIC]), APPLY]
    if media not in known:
        raise unsupported_media_type(known)
    return media


def _fits(kind: Kind, wanted: Target) -> bool:
    """Whether a path names objects of this kind as they are: in a namespace or not, and nothing after a subresource.

    Raises:
        StatusError: 405, it does, and nothing of the sort can be done there.
    """
    if wanted.rest:
        return False
    if not kind.namespaced:
        return not wanted.namespace or wanted.resource == "namespaces"
    if wanted.namespace or wanted.name:
        return bool(wanted.namespace)
    # All namespaces together are there to be listed and watched only.
    if wanted.verb not in ("list", "watch") and "list" in kind.verbs and not kind.custom:
        raise _not_allowed(kind, wanted.verb)
    return wanted.verb in ("list", "watch")


def _chosen(kind: Kind, obj: Object, labels: Selector, fields: Selector) -> bool:
    metadata = obj["metadata"]
    if labels and not matching(metadata.get("labels") or {}, labels):
        return False
    if not fields:
        return True
    values: Mapping[str, str] = {
        **{one.key: "" for one in fields},
        **kind.selectable(obj),
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata.get("namespace", ""),
    }
    return matching(values, fields)


@contextmanager
def _warning(warnings: list[str]) -> Iterator[None]:
    """Say of an error too what the client is warned of."""
    try:
        yield
    except StatusError as error:
        error.warnings = [*warnings, *error.warnings]
        raise


def _same_name(obj: Object, wanted: Target) -> None:
    """The name in the body has to be that of the path."""
    metadata = obj.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise bad_request("metadata is no object")
    name = metadata.get("name") or ""
    if not name:
        raise bad_request(
            f"the name of the object ({wanted.name} based on URL) was undeterminable: name must be provided"
        )
    if name != wanted.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({wanted.name})")


def _not_allowed(kind: Kind, verb: str) -> StatusError:
    return method_not_allowed(kind, verb) if kind.custom else answers.not_routed()
