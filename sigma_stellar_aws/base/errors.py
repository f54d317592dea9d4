"""Errors whose message is for people, by what they are about."""


class UserError(Exception):
    """An error whose message is for people."""


class MisuseError(UserError):
    """Something is asked for that is not there, or in a way in which it cannot be."""


class StoreError(UserError):
    """The data store cannot be used, or did not do what it was asked."""


class EngineError(UserError):
    """An engine of one's own cannot be started; the message says what failed and what to do."""


class TooManyAlertsError(UserError):
    """More alerts are open at one time than is allowed."""


class TemporaryDataError(UserError):
    """Temporary data cannot be kept."""


class CheckpointError(UserError):
    """A checkpoint cannot be gone on from."""


class NotFoundError(MisuseError):
    """There is no such rule, file or event."""


class AddressError(StoreError, MisuseError):
    """This is not the address of a data store, or of Kibana."""


class EventError(UserError):
    """No rule can be made from an event."""


class S3Error(UserError):
    """Log files in S3 cannot be listed or read."""
