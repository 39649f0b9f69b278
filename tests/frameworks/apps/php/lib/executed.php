<?php
// What was executed, one line of JSON, as PHP itself reads the request.
function executed(string $handler, ?string $id = null): void
{
    $one = fn(string $name) => [$_SERVER[$name] ?? null];
    $write = [
        'handler' => $handler, 'method' => $_SERVER['REQUEST_METHOD'], 'path' => $_SERVER['PHP_SELF'], 'id' => $id,
        'query' => [$_GET['clinic'] ?? null], 'merged' => [$_POST['clinic'] ?? null, $_REQUEST['clinic'] ?? null],
        'clinic' => $one('HTTP_X_CLINIC'), 'tenant' => $one('HTTP_X_TENANT_ID'),
        'user' => [$_SERVER['HTTP_X_USER_ID'] ?? null, ($_SERVER['REMOTE_USER'] ?? '') ?: null], 'roles' => $one('HTTP_X_USER_ROLES'),
    ];
    file_put_contents(getenv('EXECUTED'), json_encode($write, JSON_INVALID_UTF8_SUBSTITUTE) . "\n", FILE_APPEND);
    header('Content-Type: text/plain');
    echo "done\n";
}
