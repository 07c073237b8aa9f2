from typing import Any

import pytest

from fleet_operator.kube.errors import ApiError, api_error
from fleet_operator.reconcile.refusals import refusal

# As kube-apiserver 1.37 says it, and what admits by way of it.
RIGHT = (
    'services "vision" is forbidden: User "system:serviceaccount:fleet:encoder-fleet" cannot get resource "services" '
    'in API group "" in the namespace "team"'
)
OWNER = (
    'deployments.apps "vision-any" is forbidden: cannot set blockOwnerDeletion if an ownerReference refers to a '
    "resource you can't set finalizers on: , <nil>"
)
QUOTA = (
    'deployments.apps "vision-any" is forbidden: exceeded quota: small, requested: count/deployments.apps=1, used: '
    "count/deployments.apps=1, limited: count/deployments.apps=1"
)
UNSAID = 'services "vision" is forbidden: failed quota: small: must specify count/services'
GOING = (
    'deployments.apps "vision-any" is forbidden: unable to create new content in namespace team because it is being '
    "terminated"
)
KYVERNO = (
    'admission webhook "validate.kyverno.svc-fail" denied the request: resource Deployment/team/vision-any was '
    "blocked due to the following policies"
)
POLICY = (
    "deployments.apps \"vision-any\" is forbidden: ValidatingAdmissionPolicy 'registries' with binding 'all' denied "
    "request: images must be of registry.example.com"
)
INVALID = 'Deployment.apps "vision-any" is invalid: spec.template.spec.containers[0].volumeMounts[0].name: Not found'
HOOK = 'Internal error occurred: failed calling webhook "validate.example.com": connection refused'


@pytest.mark.parametrize(
    ("code", "said", "reason", "advice"),
    [
        (403, RIGHT, "Forbidden", "the operator may not apply Deployment vision-any: give its service account"),
        (403, OWNER, "Forbidden", "give its service account that right"),
        (403, QUOTA, "QuotaExceeded", "raise the ResourceQuota"),
        (403, UNSAID, "QuotaExceeded", "raise the ResourceQuota"),
        (403, GOING, "NamespaceTerminating", "the pool goes with its namespace"),
        (403, KYVERNO, "Rejected", "refuses to apply Deployment vision-any"),
        (400, KYVERNO, "Rejected", "refuses to apply Deployment vision-any"),
        (403, POLICY, "Rejected", "images must be of registry.example.com"),
        (422, POLICY, "Rejected", "images must be of registry.example.com"),
        (422, INVALID, "Rejected", "volumeMounts[0].name"),
        (404, "the server could not find the requested resource", "NotServed", "cannot apply Deployment vision-any"),
        (500, HOOK, "ApiUnavailable", "it is tried again"),
        (503, "apiserver is shutting down", "ApiUnavailable", "it is tried again"),
        (429, "the server has received too many requests", "ApiUnavailable", "it is tried again"),
        (409, "the object has been modified", "ApiUnavailable", "it is tried again"),
        (0, "the API server does not answer: TimeoutError", "ApiUnavailable", "it is tried again"),
    ],
)
def test_a_refusal_is_told_by_what_it_says(code: int, said: str, reason: str, advice: str) -> None:
    trouble = refusal(ApiError(code, "Reason", said, "apply Deployment vision-any"))
    assert trouble.reason == reason
    assert advice in trouble.message
    assert said in trouble.message


@pytest.mark.parametrize(
    ("body", "reason", "message"),
    [
        (b'{"reason":"Conflict","message":"no"}', "Conflict", "no"),
        ('{"reason":"Conflict","message":"no"}', "Conflict", "no"),
        # Of what stands before the API server.
        (b"upstream is away\n", "HTTP 503", "upstream is away"),
        (b"[]", "HTTP 503", "[]"),
        (b"\xff", "HTTP 503", "\ufffd"),
        (None, "HTTP 503", ""),
    ],
)
def test_an_answer_that_is_no_result_is_read(body: Any, reason: str, message: str) -> None:
    error = api_error(503, body, "get Service vision")
    assert (error.reason, str(error)) == (reason, message)
